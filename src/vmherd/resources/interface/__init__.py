"""The host's own network devices: ``links`` reads them, ``show`` describes, ``make`` sets up, ``driver`` keeps."""

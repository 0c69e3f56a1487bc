"""vmherd runs virtual machines and everything around them."""

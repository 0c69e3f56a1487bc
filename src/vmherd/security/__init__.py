"""What keeps guests from each other and from the host: users, owners of files, labels of SELinux and AppArmor."""

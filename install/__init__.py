"""What is made of what is installed: rights for single namespaces, and the tables of docs/install.md."""

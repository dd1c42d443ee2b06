"""What a release is made of and held to: its distributions, the licences and locks of all that they depend on."""

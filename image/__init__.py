"""The operator's image, built without a container engine: `python -m image`, or `make image`."""

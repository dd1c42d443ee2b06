"""The resource: its spec and status as pydantic models, its words as enums, and the CRD made from them."""

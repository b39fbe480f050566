"""The pipeline language as pydantic models, and the JSON Schema that is made from them."""

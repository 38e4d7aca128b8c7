"""What requests are answered with, as schemas: clients and the OpenAPI document read them, nothing is made by them."""

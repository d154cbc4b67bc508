"""What benchmarks/gateway.py and benchmarks/soak.py are made of."""

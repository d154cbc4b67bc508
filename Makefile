.PHONY: demo test bench setup

demo:  ## the main job: the whole loop on a made-up log, then live: an agent served by specialists
	@scripts/setup
	@.venv/bin/slimdown demo --live

test:  ## style, types, layers and tests
	@scripts/setup test
	@scripts/check

bench:  ## every benchmark, beside its baseline; results go to benchmarks/*.json
	@scripts/setup bench
	.venv/bin/python benchmarks/store.py
	.venv/bin/python benchmarks/discover.py
	.venv/bin/python benchmarks/offload.py
	.venv/bin/python benchmarks/gateway.py
	.venv/bin/python benchmarks/soak.py
	.venv/bin/python scripts/readme_tables.py

.PHONY: demo test bench setup

demo:  ## the main job: the whole loop on a recorded log, in about three minutes
	@scripts/setup
	@.venv/bin/slimdown demo

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

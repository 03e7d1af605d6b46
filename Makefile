# make demo   the main job on the built-in simulated cluster (a scripted tour where there is no display)
# make test   every test, real libvirt hosts included
# make lab    three real libvirt hosts on this machine, and the console on them
# make check  ruff, mypy, import-linter
# make bench  the benchmarks         make frozen  the one-folder program        make format  ruff's formatter
.PHONY: demo run test lab check bench frozen format setup clean
PY := .venv/bin/python

demo:
	@tools/setup run
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then $(PY) -m hpconsole --demo; else \
	    echo "There is no display here: running the scripted tour under Xvfb; its pictures go to build/tour/."; \
	    $(PY) -m tools.tour; fi

run:
	@tools/setup run
	@$(PY) -m hpconsole $(ARGS)

test:
	@tools/setup all
	@tools/run-tests $(ARGS)

lab:
	@tools/setup all
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then tools/as-root $(PY) -m tests.lab run -- $(PY) -m hpconsole; else \
	    tools/as-root $(PY) -m tests.lab run; fi

check:
	@tools/setup all
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

bench:
	@tools/setup all
	$(PY) -m pytest tests/benchmarks -o addopts="" --strict-markers --benchmark-only --benchmark-disable-gc \
	    --benchmark-columns=min,median,max,rounds --benchmark-sort=name $(ARGS)

frozen:
	@tools/setup all
	$(PY) -m PyInstaller --noconfirm --log-level WARN --distpath build/frozen --workpath build/frozen-work hpconsole.spec

format:
	@tools/setup all
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .

setup:
	@tools/setup all

clean:
	rm -rf build

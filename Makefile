# Everything needs make and python3 >= 3.11; what else it needs, it fetches from PyPI into .venv.

PYTHON ?= python3
BIN    := .venv/bin
SITE   := _build/html
PORT   ?= 8000

.DEFAULT_GOAL := help
.PHONY: help book test notebooks lint check serve bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  CMRLIB_DATA=folder make ...   use the data sets that lie there"

book: .venv/.installed ## Execute the chapters that changed and write the HTML
	@$(BIN)/python tools/build_book.py
	@echo "The book is in $(SITE)/index.html: open that file, or run 'make serve'."

test: .venv/.installed ## Run the tests
	$(BIN)/python -m pytest -q -n 2

notebooks: .venv/.installed ## Write the student notebooks beside the chapters
	$(BIN)/python tools/make_notebooks.py

lint: .venv/.installed ## Check style, types, and that the student notebooks are in step
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/make_notebooks.py --check

check: .venv/.installed ## Check the built HTML: links, alt texts, headings, formulas, scripts
	$(BIN)/python tools/check_html.py $(SITE)

serve: .venv/.installed ## Show the built book at http://localhost:8000 (PORT=... for another)
	@test -f $(SITE)/index.html || { echo "There is no book yet: run 'make book' first." >&2; exit 1; }
	@echo "The book is at http://localhost:$(PORT)  (stop with Ctrl-C)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

bench: .venv/.installed ## Time the library against its peers
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/run.py

clean: ## Remove what was built; .venv and data stay
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, but '$(PYTHON)' is not: name another one with 'make PYTHON=python3.12'." >&2; exit 1; }
	@echo "Installing about 190 pinned packages into .venv; the first time this takes some minutes ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[encoders,search,scale,book,test,lint]'
	@touch $@
	@echo "Installed."

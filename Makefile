# Two commands do everything: `make run` and `make test`. Each does all the set-up it needs, again only when something
# changed. Paths are relative, so that the project may lie in a folder with spaces in its name.

PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help run test lint bench translations clean

help:
	@echo "make run            start Postkasse with a sample mailbox: http://127.0.0.1:8000/"
	@echo "make test           run all tests (as root it installs the Debian packages they need)"
	@echo "make lint           check style, types, templates, migrations and settings"
	@echo "make bench          measure, and print our figures beside those of others"
	@echo "make translations   collect the strings to translate (needs gettext), then compile them"
	@echo "make clean          remove what was made here: .venv, caches (not var, where your data is)"

run: .venv/installed .venv/editor
	@exec $(BIN)/python manage.py dev

test: .venv/installed-dev .venv/editor
	@.ci/tools
	@$(BIN)/python manage.py translations
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: .venv/installed-dev
	@exec .ci/lint

bench: .venv/installed-dev
	@.ci/tools
	@$(BIN)/python -m tests.bench $(ARGS)
	@$(BIN)/python -m tests.bench.fetch
	@$(BIN)/python -m tests.bench.wire
	@$(BIN)/python -m tests.bench.push
	@$(BIN)/python -m tests.bench.pop3
	@$(BIN)/python -m tests.bench.contacts
	@$(BIN)/python -m tests.bench.send
	@$(BIN)/python -m tests.bench.search

translations: .venv/installed-dev
	@$(BIN)/python manage.py makemessages --locale nb --no-obsolete --ignore .venv --ignore var --ignore tests --ignore node_modules
	@$(BIN)/python manage.py translations

clean:
	@rm -rf .venv node_modules static-built .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# Without a network it is tried again the next time; until then text is plain.
.venv/editor: package-lock.json .ci/editor | .venv/installed
	@.ci/editor && touch $@ || true

# The stamps: newer than what they were installed from, or made again.
.venv/installed: requirements.txt .ci/venv
	@.ci/venv "$(PYTHON)" requirements.txt && touch $@

.venv/installed-dev: requirements.txt requirements-dev.txt .ci/venv
	@.ci/venv "$(PYTHON)" requirements-dev.txt && touch .venv/installed $@

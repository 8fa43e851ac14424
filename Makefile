# Everything is done by ./dev; `make` alone lists the targets. Arguments: make test ARGS="-k reserve"
.DEFAULT_GOAL := help
.PHONY: help demo up down reset logs certs test lint format protos release-contracts bench bench-peers chaos mutants

demo:    ## Run both services and real packages through all four workflows, then clean up
up:      ## Start databases and both services, and keep them running
down:    ## Stop what `up` started; data stays
reset:   ## Stop it and forget its data
logs:    ## Follow the logs of both services
certs:   ## Make a development set of certificates: an authority, each service, a few callers
test:    ## Run all tests, on every database engine
lint:    ## Check style, types, imports between packages, and contracts
format:  ## Format code and contracts
protos:  ## Generate the stubs from the contracts
release-contracts: ## Take the contracts as released; `make lint` refuses later ones that break them
bench:   ## Measure reservations beside an empty call; ARGS="--only reserve" for some, ARGS=--short for a quick look
bench-peers: ## Measure holdfast beside what else one could take; ARGS=--short for a quick look
chaos:   ## Try what is promised with faults and load; CAMPAIGN=2 for one, to its long size; CHAOS_MINUTES=5 to stop sooner; ARGS="--seed 7" to choose as that run did
mutants: ## Plant defects into a copy of the sources, and see that campaigns and tests find each

chaos: override ARGS += $(if $(CAMPAIGN),--campaign $(CAMPAIGN))

help demo up down reset logs certs test lint format protos release-contracts bench bench-peers chaos mutants:
	@./dev $@ $(ARGS)

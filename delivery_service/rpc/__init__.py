"""The contract: parse a request, run a use case, render its result. No rule of delivery lives here."""

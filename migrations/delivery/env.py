"""Runs the revisions of the delivery schema; everything that both services share is in the kit."""

from alembic import context

from servicekit.schema.migrations import run_in_env

run_in_env(context.config, context)

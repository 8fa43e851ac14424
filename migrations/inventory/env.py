"""Runs the revisions of the inventory schema."""

from alembic import context

from servicekit.schema.migrations import run_in_env

run_in_env(context.config, context)

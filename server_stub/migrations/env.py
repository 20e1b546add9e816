"""Runs the migrations inside the transaction that `server_stub.store` has begun."""

from alembic import context

from server_stub import store

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=store.metadata,
)
context.run_migrations()

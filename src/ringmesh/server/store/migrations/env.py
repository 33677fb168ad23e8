"""Run by Alembic: migrates over the connection that the store hands in."""

from alembic import context

from ringmesh.server.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

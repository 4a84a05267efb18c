"""Runs the revisions on the connection that the records store hands over.

There is no alembic.ini: ``spanhouse migrate`` and the server's start are the only ways in.
"""

from alembic import context

connection = context.config.attributes["connection"]
# SQLite cannot alter most things in place; batch mode copies the table instead.
context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()

"""Numbered changes of the schema, run by Alembic. One file each in ``versions``, and one test each."""

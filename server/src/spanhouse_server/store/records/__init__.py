"""The records store on SQLite or Postgres."""

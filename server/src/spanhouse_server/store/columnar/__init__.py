"""The columnar store on ClickHouse, embedded (chDB) or served."""

"""The service: from Kafka through Postgres to Sedna, and the answer back to Kafka."""

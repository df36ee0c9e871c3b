"""The recorder node: topics into bags, one per episode."""

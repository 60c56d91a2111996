"""The download stage, and the only import of Ray: server actors hold budgets, worker tasks spend them."""

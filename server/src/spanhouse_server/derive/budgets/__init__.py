"""Budgets: what was spent of them, where that leads by the end of the period, and who may go on spending."""

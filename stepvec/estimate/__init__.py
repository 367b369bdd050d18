"""What a run takes and costs: plans before it, cost after it. Pure arithmetic."""

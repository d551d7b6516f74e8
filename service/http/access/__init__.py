"""Who calls: one of five ways to know it, chosen at the start (`ways.open_callers`)."""

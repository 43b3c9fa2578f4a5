"""What a solve gives: maps, fields and balances, on disk, in figures and for ParaView."""

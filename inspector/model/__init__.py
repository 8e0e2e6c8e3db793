"""What commands show, the audit judges and files keep: plain data."""

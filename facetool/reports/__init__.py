"""Reports to look at: self-contained HTML pages of what a command found."""

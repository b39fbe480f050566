"""What steps report beside their verdict: reports are read and masked when a step has ended."""

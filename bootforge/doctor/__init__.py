"""The server as a machine sees it: clients, one machine's boot, and whatever could keep machines from theirs."""

"""One tick: the policy, the controller that decides who drives, the safety envelope."""

"""What a policy looks at, and what its neurons do, on a recording: `liquid-control explain`."""

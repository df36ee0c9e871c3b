"""`liquid-control teach`: a person drives on the page, a policy learns from it, and drives."""

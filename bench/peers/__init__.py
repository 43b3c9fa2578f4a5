"""What others offer for the same work, each called as suits it best; measured in the same run as ours."""

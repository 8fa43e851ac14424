"""Campaigns: faults and load for minutes or hours against real servers, and what may never happen meanwhile."""

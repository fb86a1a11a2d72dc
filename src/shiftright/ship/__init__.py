"""Shipping: releases, gates, rollouts. What reaches users, on which evidence."""

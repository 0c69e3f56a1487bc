"""Network filters of this host: compiled to nftables rules, a chain for each card and direction.

variables, tree    what a filter says of one card: references followed, variables filled in
bridged, traffic   a rule as conditions of nftables
chains             all rules of one card
firewall           the tables in the kernel: changed in one transaction, found again after a restart
driver             what users ask for
"""

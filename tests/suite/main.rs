//! Integration tests of the whole project in one binary. They run the command as a child process, as a user would.

mod arrows;
mod bad_input;
mod bans;
mod browser;
mod burst;
mod callgrind;
mod catalogue;
mod circles;
mod command;
mod ejections;
mod explain;
mod facade;
mod features;
mod interrupt;
mod load;
mod memory;
mod metastable;
mod mutants;
mod names;
mod namespaces;
mod omissions;
mod pages;
mod pipe;
mod prose;
mod real;
mod replay;
mod rows;
mod run;
mod schema;
mod services;
mod theory;
#[cfg(feature = "turmoil")]
mod turmoil;

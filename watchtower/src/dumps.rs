//! Keys stay out of core dumps: a program that dies writes no image of its memory, and nobody without root's rights reads it while it runs.
//!
//! Seeds, keys and tokens are overwritten when they are dropped; a crash drops nothing. So the kernel is told before anything
//! secret is read. Which command runs does not matter: most of them open a key.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Tells the kernel. Two ways, since the limit alone does not hold where dumps are handed to another program.
///
/// # Errors
/// When the kernel refuses.
pub fn forbid() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn the_kernel_writes_no_dump_of_this_process() {
        forbid().unwrap();
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}

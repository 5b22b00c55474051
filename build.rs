//! How the program is linked. On glibc the addresses that a start has to shift are written as ranges (`DT_RELR`) and not
//! one by one, which takes 2.5 MB off it. Such a program needs glibc 2.36 (2022); an older one says so and stops.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

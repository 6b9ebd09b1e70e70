//! The screen.

use crate::agent::Device;

/// .
///
/// # Errors
/// .
pub async fn show(device: Device) -> anyhow::Result<()> {
    device.task.await??;
    Ok(())
}

namespace Zqfp.Tests;

/// <summary>A test that asks Linux which files are read.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute() => Skip = OperatingSystem.IsLinux() ? null : "Needs Linux's inotify.";
}

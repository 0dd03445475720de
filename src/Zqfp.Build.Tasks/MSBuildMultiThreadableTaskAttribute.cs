namespace Microsoft.Build.Framework;

/// <summary>
/// Says that a task may run beside others in one process: it uses full paths only, and neither reads nor changes the state of the
/// process. MSBuild 18 recognizes the attribute by its name, whatever the assembly; older versions ignore it.
/// </summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = false, Inherited = false)]
internal sealed class MSBuildMultiThreadableTaskAttribute : Attribute;

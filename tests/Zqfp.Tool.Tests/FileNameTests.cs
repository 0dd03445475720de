using System.Text.RegularExpressions;

namespace Zqfp.Tool.Tests;

/// <summary>Names of the repository's files can be checked out on every system.</summary>
public sealed partial class FileNameTests
{
    private static readonly string[] Names =
        [.. Repository.Files("*").Select(file => Path.GetRelativePath(Repository.Root, file).Replace('\\', '/'))];

    [Fact]
    public void No_two_files_differ_in_case_alone() =>
        Assert.Empty(Names.GroupBy(name => name, StringComparer.OrdinalIgnoreCase).Where(group => group.Count() > 1)
            .Select(group => group.Key));

    [Fact]
    public void No_name_is_reserved_or_too_long_on_Windows()
    {
        Assert.NotEmpty(Names);
        Assert.DoesNotContain(Names, name => name.Length > 160 || name.Split('/').Any(part => Refused().IsMatch(part)));
    }

    [GeneratedRegex("""[<>:"\\|?*\p{C}]|[. ]$|^(con|prn|aux|nul|com[0-9]|lpt[0-9])([.].*)?$""", RegexOptions.IgnoreCase)]
    private static partial Regex Refused();
}

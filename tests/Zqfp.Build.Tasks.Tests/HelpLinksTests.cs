
namespace Zqfp.Build.Tasks.Tests;

public sealed class HelpLinksTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_page_in_a_folder_is_an_address_of_the_file()
    {
        string page = _folder.Write("ZQFP3001.md", "");

        string link = new HelpLinks(_folder.Path + "/x/../").Of("ZQFP3001")!;
        Assert.StartsWith("file:///", link, StringComparison.Ordinal);
        Assert.DoesNotContain(' ', link);
        Assert.Equal(page, new Uri(link).LocalPath);
        Assert.Null(new HelpLinks(_folder.Path).Of("ZQFP3002"));
    }

    [Theory]
    [InlineData("https://example.org/pages", "https://example.org/pages/ZQFP3001.md")]
    [InlineData("https://example.org/pages/", "https://example.org/pages/ZQFP3001.md")]
    [InlineData("", null)]
    [InlineData("docs/diagnostics", null)]
    public void An_address_is_followed_by_the_page_and_anything_else_is_no_link(string start, string? expected) =>
        Assert.Equal(expected, new HelpLinks(start).Of("ZQFP3001"));
}

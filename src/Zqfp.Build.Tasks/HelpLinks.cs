namespace Zqfp.Build.Tasks;

/// <summary>Where the page of a diagnostic is: in a folder of this machine, as in the package, or on a site.</summary>
/// <param name="start">A folder in full, or an address, that pages named <c>ZQFPnnnn.md</c> are under; empty for none.</param>
internal sealed class HelpLinks(string start)
{
    /// <summary>The page's address; null where there is none.</summary>
    public string? Of(string code)
    {
        string page = code + ".md";
        if (Uri.TryCreate(start, UriKind.Absolute, out Uri? address) && !address.IsFile)
        {
            return start.TrimEnd('/') + "/" + page;
        }

        string path = Path.IsPathRooted(start) ? Path.GetFullPath(Path.Combine(start, page)) : string.Empty;
        return path.Length > 0 && File.Exists(path) ? new Uri(path).AbsoluteUri : null;
    }
}

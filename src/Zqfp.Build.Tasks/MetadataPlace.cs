using System.Xml;
using System.Xml.Linq;

namespace Zqfp.Build.Tasks;

/// <summary>
/// Where a project says something about its models. MSBuild tells the file that an item comes from and no line, so the file is searched.
/// </summary>
internal sealed class MetadataPlace
{
    public MetadataPlace(string file, IXmlLineInfo? position = null)
    {
        File = file;
        Line = position?.HasLineInfo() == true ? position.LineNumber : 0;
        Column = position?.HasLineInfo() == true ? position.LinePosition : 0;
    }

    public string File { get; }

    /// <summary>The line from 1, or 0 where it was not found.</summary>
    public int Line { get; }

    /// <summary>The column from 1, or 0.</summary>
    public int Column { get; }

    /// <summary>Finds metadata of a <c>ZqfpModel</c>, or the property that is its default, with this value.</summary>
    /// <param name="project">The file that the item comes from.</param>
    /// <param name="metadata">The metadata's name.</param>
    /// <param name="value">What it is; expressions are not expanded, so one that differs is taken where it is the only one.</param>
    public static MetadataPlace Find(string project, string metadata, string value)
    {
        XDocument document;
        try
        {
            document = XDocument.Load(project, LoadOptions.SetLineInfo);
        }
        catch (Exception exception) when (exception is XmlException or IOException or UnauthorizedAccessException)
        {
            return new MetadataPlace(project);
        }

        List<XObject> places = [];
        foreach (XElement element in document.Descendants())
        {
            if (Is(element.Name, "ZqfpModel"))
            {
                places.AddRange(element.Attributes().Where(attribute => Is(attribute.Name, metadata)));
                places.AddRange(element.Elements().Where(child => Is(child.Name, metadata)));
            }
            else if (Is(element.Name, "Zqfp" + metadata))
            {
                places.Add(element);
            }
        }

        XObject? found = places.FirstOrDefault(place => string.Equals(TextOf(place).Trim(), value.Trim(), StringComparison.Ordinal));
        return new MetadataPlace(project, found ?? (places.Count == 1 ? places[0] : null));
    }

    private static bool Is(XName name, string expected) => string.Equals(name.LocalName, expected, StringComparison.OrdinalIgnoreCase);

    private static string TextOf(XObject place) => place is XAttribute attribute ? attribute.Value : ((XElement)place).Value;
}

using System.Runtime.Serialization.Json;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace Zqfp.Build.Tasks;

/// <summary>
/// A JSON file of options. Its keys are the metadata's names in camel case. The reader is the framework's own, so that the tasks
/// bring no JSON library into a build.
/// </summary>
internal static class RecipeFile
{
    private const string SchemaKey = "$schema";
    private const int MaxBytes = 1 << 20;
    private const int MaxDepth = 16;

    /// <summary>The options by their metadata: lists separated by semicolons, paths in full.</summary>
    /// <exception cref="FormatException">The file is no recipe.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static IReadOnlyDictionary<string, string> Read(string path)
    {
        // Decoded and encoded again: some editors put a mark of UTF-8 first, which the reader does not know.
        byte[] content = Encoding.UTF8.GetBytes(ReadText(path));
        XElement root;
        try
        {
            using XmlDictionaryReader reader = JsonReaderWriterFactory.CreateJsonReader(content, Quotas());
            root = XElement.Load(reader);
        }
        catch (Exception exception) when (exception is XmlException or FormatException or InvalidOperationException)
        {
            throw new FormatException(exception.Message, exception);
        }

        // The reader is content with a file that ends too early.
        if (TypeOf(root) != "object" || content.LastOrDefault(octet => octet > ' ') != '}')
        {
            throw new FormatException("It must be an object, from { to }.");
        }

        string folder = Path.GetDirectoryName(path)!;
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (XElement element in root.Elements())
        {
            // A name that XML does not allow stands in an attribute.
            string key = (string?)element.Attribute("item") ?? element.Name.LocalName;
            if (key != SchemaKey)
            {
                ToolOption option = OptionTable.InRecipes.FirstOrDefault(known => known.Key == key)
                    ?? throw new FormatException(
                        $"'{key}' is no option.{Spelling.Question(key, OptionTable.InRecipes.Select(known => known.Key!))}");
                if (options.ContainsKey(option.Metadata!))
                {
                    throw new FormatException($"'{key}' is there twice.");
                }

                options.Add(option.Metadata!, Text(element, option, folder));
            }
        }

        return options;
    }

    private static string Text(XElement element, ToolOption option, string folder)
    {
        switch (TypeOf(element))
        {
            case "array" when option.IsList:
                return string.Join(";", element.Elements().Select(item => Text(item, option, folder)));
            case "string":
            case "number":
                return option.Problem(element.Value) is { } problem ? throw new FormatException($"'{option.Key}' {problem}.")
                    : option.Kind == OptionKind.Input ? Path.GetFullPath(Path.Combine(folder, element.Value))
                    : option.Kind == OptionKind.Tasks ? NamedTask.InFolder(element.Value, folder)
                    : element.Value;
            default:
                throw new FormatException($"'{option.Key}' must be a text{(option.IsList ? " or a list of texts" : " or a number")}.");
        }
    }

    /// <summary>Only as much as the file says it holds is read: a device has no end.</summary>
    private static string ReadText(string path)
    {
        long length = new FileInfo(path).Length;
        if (length is 0 or > MaxBytes)
        {
            throw new FormatException(length == 0 ? "It is empty." : $"It has {length} bytes, and a recipe has {MaxBytes} at most.");
        }

        return File.ReadAllText(path);
    }

    private static XmlDictionaryReaderQuotas Quotas()
    {
        var quotas = new XmlDictionaryReaderQuotas();
        XmlDictionaryReaderQuotas.Max.CopyTo(quotas);
        quotas.MaxDepth = MaxDepth;
        return quotas;
    }

    private static string TypeOf(XElement element) => (string?)element.Attribute("type") ?? "string";
}

using System.Text;
using Zqfp.Tool;

// Diagnostics and file names are UTF-8 also where the console's code page is another; the build tasks read them so.
Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
return CommandLine.Run(args);
